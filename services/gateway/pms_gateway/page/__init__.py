"""The operators' page: plain HTML, CSS and JS modules as the browser reads them; nothing is built.

Served by `door.page`.

    index.html page.css   what there is, and how it looks
    main.js               wiring: what is asked when, and which part shows it
    api.js                the door: token, requests, the socket of events
    views.js table.js     the tables: what they show, and how they are brought up to date
    algos.js chart.js     the cards of algos and their small charts
    tape.js               the events
    format.js             how values are written
"""
