"""The commands of `pms`, one file for each group of them. They parse, ask and print; what they do lies elsewhere.

Libraries are imported where they are used: every verb shares one start-up, which is not to take seconds."""
