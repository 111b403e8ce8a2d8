"""Files that annotations, labels, detections and arrays come in; one file a format. numpy only."""
