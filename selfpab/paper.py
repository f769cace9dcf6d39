"""What the paper reports. Its settings are the defaults of the config dataclasses, not here.

Logacjov, Herland, Ustad, Bach: Large-Scale Pre-Training for Dual-Accelerometer Human Activity Recognition.
"""

from __future__ import annotations

TABLE_1 = {  # average F1 in per cent and its standard error over subjects: (HARTH v1.2, HAR70+)
    "svm": ((71.7, 2.0), (64.3, 2.9)),
    "xgb": ((74.2, 1.9), (63.7, 2.4)),
    "deepconvlstm-ts": ((51.2, 6.2), (54.7, 3.3)),
    "deepconvlstm-spectr": ((60.2, 2.2), (59.3, 1.9)),
    "spectr-mlp": ((60.5, 2.4), (61.9, 2.5)),
    "spectr-te": ((66.1, 2.0), (64.5, 2.5)),
    "selfpab": ((81.3, 1.3), (78.5, 2.1)),
}
MINUTES = {"harth": 2221.6, "har70plus": 756.0}  # section 4.2
SUBJECTS = {"harth": 22, "har70plus": 18}
PRETRAINING_HOURS = (10, 100, 1_000, 10_000, 100_000)  # section 4.1, Figure 3
