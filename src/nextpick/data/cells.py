"""What a cell must be, whichever way it comes: in a file of millions of rows, or in one record."""

CREATED = "CREATION_TIMESTAMP"
MAX_TEXTUAL = 20_000
MAX_ID = 256
MAX_STRING = 1000
# Seconds reach this in the year 5138, milliseconds had it in 1973.
MILLISECONDS = 100_000_000_000
# Both for RE2 and for Python's re: free text is kept without tags, on one line.
TAG = r"<!--.*?-->|</?[A-Za-z][^<>]*>"
BREAK = r"[\r\n\t]+"
