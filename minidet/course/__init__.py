"""The course: assignments over minidet's functions, made from the reference and graded by tests with hints.

>>> from minidet.course.grading import grade_submission
>>> from minidet.course.report import table
>>> print(table(grade_submission("a3", "my_folder")))

`minidet assignment --help` does the same from a shell; ``INSTRUCTORS.md`` beside this file is for those who teach.
"""
