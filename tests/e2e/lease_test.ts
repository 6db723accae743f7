// Being written by another helper (7: bad input, 8: lease, 9: program): leave this file alone.
