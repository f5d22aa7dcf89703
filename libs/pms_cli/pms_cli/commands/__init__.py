"""The commands of `pms`, one file for each group of them. They parse, ask and print; what they do lies elsewhere."""
