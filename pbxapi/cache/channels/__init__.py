"""The channels of the PBX: one channel and its events, all of them, and the calls they make up."""
