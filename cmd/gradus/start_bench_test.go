package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStart builds the program as `make build` does, starts it and times
// how long it takes until a grade has been answered: the median and the worst of
// at least ten starts, and beside it what a start costs that does nothing
// (print the version). Memory is what the process holds (resident) right after
// its first answer and again after a thousand lexical grades.
func BenchmarkStart(b *testing.B) {
	binary, size := build(b)
	const least = 10
	var first, nothing, idle []float64
	sample := func() {
		began := time.Now()
		require.NoError(b, exec.Command(binary, "--version").Run())
		nothing = append(nothing, milliseconds(began))

		began = time.Now()
		s := spawn(b, binary)
		s.grade(b, 0)
		first = append(first, milliseconds(began))
		idle = append(idle, s.resident(b))
		s.end(b)
	}
	for b.Loop() {
		sample()
	}
	for len(first) < least {
		sample()
	}
	b.ReportMetric(0, "ns/op") // says nothing beside the medians
	b.ReportMetric(median(first), "ms-to-first-answer")
	b.ReportMetric(slices.Max(first), "ms-worst")
	b.ReportMetric(median(nothing), "ms-to-version")
	b.ReportMetric(median(idle), "MB-idle")
	b.ReportMetric(float64(size)/1e6, "MB-binary")

	s := spawn(b, binary)
	for i := range 1000 {
		s.grade(b, i)
	}
	b.ReportMetric(s.resident(b), "MB-after-1000")
	s.end(b)
}

func build(b *testing.B) (path string, size int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "gradus")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nomsgpack", "-ldflags", "-s -w", "-o", path, ".")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, "%s", out)
	info, err := os.Stat(path)
	require.NoError(b, err)
	return path, info.Size()
}

// spawned is a running service.
type spawned struct {
	cmd *exec.Cmd
	url string
}

func spawn(b *testing.B, binary string) *spawned {
	b.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Env = []string{"GRADUS_ADDR=127.0.0.1:0", "LOG_FORMAT=json", "HOME=" + b.TempDir()}
	stderr, err := cmd.StderrPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // until the process ends
			return &spawned{cmd, line.URL}
		}
	}
	b.Fatal("the service is never ready")
	return nil
}

// grade has an answer graded that differs by its number.
func (s *spawned) grade(b *testing.B, number int) {
	b.Helper()
	body := fmt.Appendf(nil, `{"question_id":"lead-platform-engineer/first-90-days","answer":"In the first two weeks I would talk to the teams and measure lead time and failures. %s Case %d."}`,
		strings.Repeat("Then I would ship one paved road for the most common service and ask those who use it what hurts. ", 7), number)
	resp, err := http.Post(s.url+"/v1/grades", "application/json", bytes.NewReader(body))
	require.NoError(b, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(b, err)
	require.NoError(b, resp.Body.Close())
	require.Equal(b, http.StatusOK, resp.StatusCode)
}

// resident is the memory the process holds, in MB.
func (s *spawned) resident(b *testing.B) float64 {
	b.Helper()
	pid := strconv.Itoa(s.cmd.Process.Pid)
	out, err := os.ReadFile("/proc/" + pid + "/status")
	if err == nil {
		_, rest, _ := strings.Cut(string(out), "VmRSS:")
		out = []byte(strings.Fields(rest)[0])
	} else { // not Linux
		out, err = exec.Command("ps", "-o", "rss=", "-p", pid).Output()
		require.NoError(b, err)
	}
	kilobytes, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	require.NoError(b, err)
	return kilobytes * 1024 / 1e6
}

func (s *spawned) end(b *testing.B) {
	b.Helper()
	require.NoError(b, s.cmd.Process.Signal(os.Interrupt))
	_, err := s.cmd.Process.Wait()
	require.NoError(b, err)
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
