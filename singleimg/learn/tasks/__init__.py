"""pretrain, probe, shortcut and study: siblings, of which none imports another."""
