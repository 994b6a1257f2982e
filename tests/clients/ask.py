#!/usr/bin/python3
"""Asks the socket of `khien follow` the questions on its input, a line each, and prints the answers; while the list is not there yet it asks again.

    ask.py SOCKET
"""
import socket
import sys
import time

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
file = s.makefile("rw", newline="\n")
for question in sys.stdin:
    for _ in range(100):
        file.write(question)
        file.flush()
        answer = file.readline()
        if answer != "?\n":
            break
        time.sleep(0.05)
    print(answer, end="")
