# Reads the output of go test -bench: prints each figure under its package, and
# the ratios between contenders of one run once more at the end. Ends with 1
# when a benchmark failed.
/^pkg: / { pkg = $2; sub(/^github.com\/gradus-ai\/gradus\//, "", pkg); next }
/^(ok|PASS|\?|goos:|goarch:|cpu:)/ { next }
/^(FAIL|--- FAIL|panic:)/ { failed = 1 }
/^Benchmark/ && NF > 2 {
	if (pkg != shown) { printf "\n%s\n", pkg; shown = pkg }
	name = $1
	sub(/-[0-9]+$/, "", name)
	for (i = 3; i < NF; i += 2)
		if ($(i + 1) ~ /^(x|vs)[-\/]/)
			ratios[++n] = sprintf("%8s %-14s %s %s", $i, $(i + 1), pkg, name)
}
{ print; fflush() }
END {
	if (n) print "\nratios between contenders of one run (x-NAME, vs-NAME: times NAME)"
	for (i = 1; i <= n; i++) print ratios[i]
	exit failed
}
