"""What both chains share: expressions, results, preprocessing, manifests and errors. numpy and OpenCV only."""
