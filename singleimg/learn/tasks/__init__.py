"""pretrain, probe, evaluate, shortcut and study, as they are typed: siblings, none imports another.

May import all of learn/.
"""
