"""Raw devices: from the files of one or two accelerometers to samples with true times and true values.

Knows no people and no activities; `data` makes a Recording of what comes from here.
"""
