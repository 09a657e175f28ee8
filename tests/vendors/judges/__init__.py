"""Programs that run in an environment of a vendor's SDK each, and say what that SDK makes of a stand-in.

They import nothing of the mesh. The address is the first argument, the key the variable JUDGE_KEY; the scenarios come
on standard input as JSON, what became of them goes to standard output.
"""
