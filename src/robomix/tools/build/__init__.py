"""Writing a LeRobot dataset out of parts of others: what all tools that make a new dataset share.

A tool says what the new dataset consists of (`Content`): its episodes in order, each with its rows, its tasks and, for
every camera kept as video, the frames of a file or frames to be encoded. `layout` decides which files that makes,
`shards` writes each file by itself, in any order and any process, `write` adds the metadata, checks everything and puts
the folder in its place. Frames that lie in files already are copied, never encoded again, wherever that is exact.
"""
