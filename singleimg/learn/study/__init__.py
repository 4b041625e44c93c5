"""Trainings and their probes compared: the control, the design, the rows, findings, report.

May import all of learn/ but the tasks.
"""
