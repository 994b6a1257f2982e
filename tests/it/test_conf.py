"""What is wrong in a configuration, pack, policy or number plan is named with file and line, and nothing starts."""
import re
import shutil
import subprocess

import pytest
import yaml

import harness
from stand import TOP


def broken_setting(site, folder):
    path = site.configure("broken")
    path.write_text(path.read_text() + "kafak: {}\n")
    return path, path, path.read_text().count("\n")


def broken_value(site, folder):
    path = site.configure("broken")
    path.write_text(path.read_text().replace("workers: 1", "workers: many"))
    return path, path, 1 + path.read_text().split("\n").index("workers: many")


def with_copy(site, folder, setting, source, name, change):
    """The configuration with one file of a copied folder changed; change answers the text and the line at fault."""
    target = folder / source.name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    file = target / name if source.is_dir() else target
    text, line = change(file.read_text())
    file.write_text(text)
    settings = yaml.safe_load(site.conf.read_text())
    settings[setting[0]][setting[1]] = str(target)
    path = folder / "broken.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path, file, line


def replace(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1), text[: text.index(old)].count("\n") + 1

    return change


def broken_policy(site, folder):
    return with_copy(site, folder, ("policy", "file"), TOP / "etc/policy.yaml", None, replace("window: 240h", "window: wide"))


def broken_pattern(site, folder):
    return with_copy(site, folder, ("rules", "dir"), TOP / "tests/it/pack", "test.yaml", replace(r"'\bcam on\b'", r"'\bcam (on\b'"))


def wrong_example(site, folder):
    return with_copy(site, folder, ("rules", "dir"), TOP / "tests/it/pack", "test.yaml", replace("match: [Cảm ơn bạn]", "match: [Cám dỗ]"))


def broken_plan(site, folder):
    return with_copy(site, folder, ("numbers", "dir"), TOP / "etc/numbers", "plan.csv", replace("86,9,9,mobile,viettel", "86,nine,9,mobile,viettel"))


FAULTS = (broken_setting, broken_value, broken_policy, broken_pattern, wrong_example, broken_plan)


@pytest.fixture
def one_site(site):
    return site()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_error_names_file_and_line(one_site, tmp_path, fault):
    conf, file, line = fault(one_site, tmp_path)
    done = one_site.khien("check", "-c", conf, check=False)
    assert done.returncode in (1, 2), done
    said = re.findall(re.escape(str(file)) + r":(\d+)", done.stderr)
    # An example stands a few lines below its rule's first line; either is good.
    assert said and any(line - 8 <= int(n) <= line + 2 for n in said), (line, done.stderr)
    # An engine judges by what was activated; the plan is read by each process.
    verbs = {broken_setting: ("activate", "run"), broken_value: ("activate", "run"), broken_plan: ("run",)}
    for verb in verbs.get(fault, ("activate",)):
        done = one_site.khien(verb, "-c", conf, check=False)
        assert done.returncode == 2, (verb, done)
        assert str(file) in done.stderr


def test_refused_activation_leaves_the_old_judges(one_site, tmp_path):
    before = one_site.one("SELECT * FROM control")
    conf, _, _ = broken_pattern(one_site, tmp_path)
    assert one_site.khien("activate", "-c", conf, check=False).returncode == 2
    assert one_site.one("SELECT * FROM control") == before


def test_wrong_usage():
    for words in (["nonsense"], ["run"], ["run", "-c", "/nonexistent/khien.yaml"], ["run", "--nonsense"]):
        done = harness.subprocess.run([str(harness.BIN), *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and done.stderr, (words, done)


def test_the_reference_page_is_what_the_program_says():
    """docs/configuration.md: khien check --reference > docs/configuration.md"""
    said = subprocess.run([str(harness.BIN), "check", "--reference"], capture_output=True, text=True, check=True).stdout
    assert (TOP / "docs/configuration.md").read_text() == said


def test_the_documents_name_only_verbs_and_options_that_there_are():
    wrong, helps = [], {}
    for page in sorted((TOP / "docs").glob("*.md")):
        for line in page.read_text().splitlines():
            commands = [line.strip()] if line.startswith("    khien ") else re.findall(r"`(khien [^`]+)`", line)
            for command in commands:
                words = command.split("#")[0].split("|")[0].split()
                verb = words[1] if len(words) > 1 else ""
                if not re.fullmatch(r"[a-z][a-z-]*", verb):
                    continue
                if verb not in helps:
                    helps[verb] = subprocess.run([str(harness.BIN), verb, "--help"], capture_output=True, text=True)
                options = {w.split("=")[0].strip("[]") for w in words if w.startswith("--") or w.startswith("[--")}
                missing = [o for o in options if o != "--help" and o not in helps[verb].stdout]
                if helps[verb].returncode != 0 or missing:
                    wrong.append(f"{page.name}: {command}: {missing or 'no such verb'}")
    assert not wrong, "\n".join(wrong)
