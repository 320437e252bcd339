#!/usr/bin/env bash
# fuzz.sh runs every fuzz target of the given packages (default: all), one after the other, each for FUZZTIME (1m): a time,
# or a number of runs (100000x). A target that is ended by the clock fails now and then with "context deadline exceeded" and
# no input to show for it, which is the Go command's doing and no finding; a number of runs cannot.
# New inputs that reach new code are made smaller for 20 runs only, else a short run does little else. It ends with status
# 1 if a target failed; the input that made it fail is then under that package's testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-1m}
ran=0
failed=()
listed=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "${@:-./...}")
while read -r package dir; do
	grep -q '^func Fuzz' "$dir"/*_test.go || continue # to build its tests takes longer than to look
	list=$(go test -run '^$' -list '^Fuzz' "$package") # fails, and ends us, where a test does not compile
	for target in $(sed -n '/^Fuzz/p' <<<"$list"); do
		ran=$((ran + 1))
		echo "--- $package $target ($time)"
		if ! go test -run '^$' -fuzz "^${target}\$" -fuzztime "$time" -fuzzminimizetime 20x "$package" </dev/null; then
			failed+=("$package $target")
		fi
	done
done <<<"$listed"

if [ "$ran" = 0 ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "fuzz: $ran targets, ${#failed[@]} failed"
for f in "${failed[@]}"; do echo "  $f"; done
[ "${#failed[@]}" = 0 ]
