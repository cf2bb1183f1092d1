"""Who else is told of runs: TensorBoard, MLflow, W&B, trackio, while they train or afterwards, each once.

``told`` says what is told, ``trackers`` to whom; a file for each tracker brings what is there up to what is told.
"""
