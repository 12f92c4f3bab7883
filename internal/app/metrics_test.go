package app

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// descriptor takes a metric's own description apart, which has no other door.
var descriptor = regexp.MustCompile(`fqName: "(gradus_[^"]+)", help: "([^"]*)", (?:unit: "[^"]*", )?constLabels: \{(?:(\w+)="[^}]*)?\}, variableLabels: \{([^}]*)\}`)

// TestGoldenMetrics holds the names, labels and meanings that dashboards and
// alerts rely on in one list: testdata/metrics.golden.
func TestGoldenMetrics(t *testing.T) {
	t.Parallel()
	kept, err := store.Open(t.Context(), store.Config{MemoryOnly: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kept.Close()) })
	m := newMetrics()
	m.watchStore(kept)
	m.watchQueue(func() (int, int, error) { return 0, 0, nil })
	descriptors := make(chan *prometheus.Desc)
	go func() {
		m.registry.Describe(descriptors)
		close(descriptors)
	}()
	var lines []string
	for d := range descriptors {
		if strings.Contains(d.String(), `fqName: "gradus_`) {
			found := descriptor.FindStringSubmatch(d.String())
			require.NotNil(t, found, d.String())
			lines = append(lines, found[1]+"{"+found[3]+found[4]+"} "+found[2])
		}
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	const path = "testdata/metrics.golden"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run make golden")
}
