"""Data far away: on the Hub, in object storage. What lies left of this room knows only folders of this machine."""
