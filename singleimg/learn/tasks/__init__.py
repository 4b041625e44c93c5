"""pretrain, probe, evaluate, distil, shortcut, study and report, as they are typed: siblings, none
imports another.

May import all of learn/.
"""
