# shellcheck shell=bash
# ./dev test: every suite once, and the sum of what they counted. Sourced by ./dev, whose verbs it calls.
# A suite that crashed, did not build or ran nothing counts as one failure more, so that no mishap
# reads as a success. Leaves out: what a suite tests.

SUITES_PASSED=0 SUITES_FAILED=0 SUITES_NOTES=()

# suites_attr FILE NAME: sums an attribute of the testsuite elements of a JUnit file.
suites_attr() {
	{ tr '\n\t' '  ' <"$1" | grep -o '<testsuite [^>]*>' | grep -o " $2=\"[0-9]*\"" | grep -o '[0-9]*' || true; } 2>/dev/null |
		awk '{ sum += $1 } END { print sum + 0 }'
}

# suites_limited LIMIT_S COMMAND...: ended with all its children after LIMIT_S, or when we are.
suites_limited() {
	local pid rc=0
	timeout -k 30 "$@" &
	pid=$!
	trap 'kill -TERM "$pid" 2>/dev/null; wait "$pid"; exit 130' INT TERM
	wait "$pid" || rc=$?
	trap - INT TERM
	[ $rc != 124 ] || echo "ended after its limit of $1 s"
	return $rc
}

# suites_one TITLE FILE LIMIT_S COMMAND...: runs it and counts what FILE says afterwards.
suites_one() {
	local title=$1 file=$2 limit=$3 rc=0 tests bad skipped start=$SECONDS
	shift 3
	printf '\n== %s\n' "$title"
	rm -f "$file"
	suites_limited "$limit" "$@" || rc=$?
	tests=$(suites_attr "$file" tests)
	bad=$(($(suites_attr "$file" failures) + $(suites_attr "$file" errors)))
	skipped=$(suites_attr "$file" skipped)
	# A bad end without a failed test, or no test at all, is a failure of the suite itself.
	if [ "$bad" = 0 ] && { [ $rc != 0 ] || [ $((tests - skipped)) -le 0 ]; }; then
		bad=1 tests=$((tests + 1))
	fi
	SUITES_PASSED=$((SUITES_PASSED + tests - bad - skipped))
	SUITES_FAILED=$((SUITES_FAILED + bad))
	SUITES_NOTES+=("$(printf '%-34s %4d passed %3d failed %3d skipped %5d s' "$title" $((tests - bad - skipped)) \
		"$bad" "$skipped" $((SECONDS - start)))")
}

# suites_step TITLE LIMIT_S COMMAND...: a step that counts only when it fails.
suites_step() {
	local title=$1 rc=0
	printf '\n== %s\n' "$title"
	shift
	suites_limited "$@" || rc=$?
	[ $rc = 0 ] && return 0
	SUITES_FAILED=$((SUITES_FAILED + 1))
	SUITES_NOTES+=("$title failed")
	return 1
}

suites_run() {
	local asan=$TOP/build-asan/unit.xml unit=$TOP/build/unit.xml it=$TOP/build/it.xml browser=$TOP/build/browser.xml scale=1
	[ "${KHIEN_SIZE:-ci}" = ci ] || scale=200
	rm -f "$unit" "$asan" "$it" "$browser"
	if suites_step 'set-up' 900 ./dev setup && suites_step 'build' 900 ./dev build; then
		suites_one 'unit tests' "$unit" $((400 * scale)) ./dev unit --output-junit "$unit"
		suites_one 'unit tests with sanitizers' "$asan" $((600 * scale)) ./dev asan --output-junit "$asan"
		# Without Kafka the rest has been tested all the same.
		if suites_step 'the jars of Apache Kafka' 300 tests/kafka-local fetch; then
			suites_one 'with PostgreSQL, Redis and Kafka' "$it" $((2400 * scale)) ./dev it --junitxml "$it"
			suites_one 'the console in Chromium' "$browser" $((300 * scale)) ./dev browser --junitxml "$browser"
		fi
		[ -z "${FUZZ_S:-}" ] || suites_step "fuzzing, $FUZZ_S s a target" $((FUZZ_S * 100)) ./dev fuzz "$FUZZ_S" || true
	fi
	printf '\n'
	[ ${#SUITES_NOTES[@]} = 0 ] || printf '%s\n' "${SUITES_NOTES[@]}"
	printf '%d passed, %d failed\n' "$SUITES_PASSED" "$SUITES_FAILED"
	[ "$SUITES_FAILED" = 0 ] && [ "$SUITES_PASSED" -gt 0 ]
}
