"""From video files to clips: lists of samples, moments and boxes, decoding, the data set, its check."""
