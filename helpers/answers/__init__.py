"""The right and the wrong answers of the exercises, one file a chapter; no students' copy has them.

A room in ``helpers.chapters`` has all else of an exercise. `helpers.exercises` imports a file from
here when the first answer of its chapter is checked.
"""
