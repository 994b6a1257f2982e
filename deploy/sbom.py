#!/usr/bin/python3
"""What a built khien is made of, as CycloneDX 1.5 on standard output: every library that it loads, by the Debian package that it comes from,
with version, licence file and the SHA-256 of the very file. Usage: sbom.py build/khien"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def packages_of(paths):
    """path -> package. dpkg knows a file by one of its two names since /usr was merged."""
    asked = {name: path for path in paths for name in (path, path.removeprefix("/usr"))}
    got = subprocess.run(["dpkg-query", "-S", *asked], capture_output=True, text=True).stdout
    lines = (line.split(": ") for line in got.splitlines())
    return {asked[name]: owner.split(",")[0] for owner, name in lines if name in asked}


def main():
    program = sys.argv[1]
    version = run(program, "--version").split()[1]
    components = []
    found = re.findall(r"(?:=> |^\s*)(/\S+) \(", run("ldd", program), re.M)
    paths = sorted({str(pathlib.Path(p).resolve()) for p in found})
    owners = packages_of(paths)
    for path in paths:
        package = owners.get(path)
        item = {"type": "library", "name": pathlib.Path(path).name, "hashes": [{"alg": "SHA-256", "content": sha256(path)}]}
        if package:
            fields = run("dpkg-query", "-W", "-f=${Package}\t${Version}\t${Architecture}\t${source:Package}", package).split("\t")
            item |= {"name": fields[0], "version": fields[1], "purl": f"pkg:deb/debian/{fields[0]}@{fields[1]}?arch={fields[2]}"}
            item["properties"] = [{"name": "debian:source", "value": fields[3]}, {"name": "file", "value": pathlib.Path(path).name}]
        components.append(item)
    components.sort(key=lambda c: (c["name"], c["hashes"][0]["content"]))
    top = {"type": "application", "name": "khien", "version": version, "licenses": [{"license": {"id": "Apache-2.0"}}],
           "hashes": [{"alg": "SHA-256", "content": sha256(program)}]}  # fmt: skip
    json.dump({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": top}, "components": components},
              sys.stdout, indent=1)  # fmt: skip
    print()


if __name__ == "__main__":
    main()
