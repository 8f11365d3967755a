"""The smoke guest: runs inside any image that has torch, measures it, and prints one JSON line for each check.

It needs Python 3.9, the standard library and the image's own torch. Imports are relative, because the folder is copied
into a zipapp under another name. The parent process never imports torch: a torch that can't be imported is a failed
check, not a dead guest.
"""
