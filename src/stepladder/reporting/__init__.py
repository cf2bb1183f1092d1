"""What is shown: numbers as text, tables, and the files of a report. Nothing here is found out, only said."""
