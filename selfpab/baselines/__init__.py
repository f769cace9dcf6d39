"""The methods the paper compares with (Table 1): features and trees or vectors, and DeepConvLSTM."""
