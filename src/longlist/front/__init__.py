"""One API in front of several clusters: a directory names the cluster of each account group."""
