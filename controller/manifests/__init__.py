"""Manifests: from YAML as teams have it to typed values, or to every problem that is in it.

`values` is pure and is all that the decision core may see; `loading` reads files; `documents` and
`problems` serve game day files as well. Of the other rooms only `promql.syntax` is imported here.
"""
