"""What the PBX looks like now: channels, peers and queues, and the views that actions read."""
