package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/config"
)

var update = flag.Bool("update", false, "rewrite what the README shows from what the code does")

const readmePath = "../../README.md"

// section returns what stands between two markers of the README, and with
// -update puts want there first.
func section(t *testing.T, name, want string) string {
	t.Helper()
	raw, err := os.ReadFile(readmePath)
	require.NoError(t, err)
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
	before, rest, found := strings.Cut(string(raw), begin)
	require.True(t, found, begin)
	got, after, found := strings.Cut(rest, end)
	require.True(t, found, end)
	if *update {
		require.NoError(t, os.WriteFile(readmePath, []byte(before+begin+want+end+after), 0o644))
		return want
	}
	return got
}

func TestReadmeGoldenSettings(t *testing.T) {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	for _, s := range config.Settings() {
		flagName, mark := "`--"+s.Key+"`", ""
		if s.Secret {
			flagName = ""
		}
		if s.File {
			mark = " ¹"
		}
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s |\n", s.Env, mark, flagName, value, s.Usage)
	}
	require.Equal(t, b.String(), section(t, "settings", b.String()), "run make golden")
}

// requestBody is the body of the README's curl example.
func requestBody(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(readmePath)
	require.NoError(t, err)
	found := regexp.MustCompile(`(?s)-d '(\{.*?\})'`).FindSubmatch(raw)
	require.NotNil(t, found)
	return found[1]
}

func TestReadmeGoldenGrade(t *testing.T) {
	var request api.GradeRequest
	require.NoError(t, json.Unmarshal(requestBody(t), &request))
	file := filepath.Join(t.TempDir(), "answer.txt")
	require.NoError(t, os.WriteFile(file, []byte(request.Answer), 0o600))
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"grade", "-q", request.QuestionID, file}, strings.NewReader(""), &stdout, &stderr)
	require.Equal(t, exitOK, code, stderr.String())
	want := "```text\n" + stdout.String() + "```\n"
	require.Equal(t, want, section(t, "grade", want), "run make golden")
}

// TestReadmeCommandServes runs the README's first command as it stands and
// grades its example over HTTP.
func TestReadmeCommandServes(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(readmePath)
	require.NoError(t, err)
	require.Contains(t, string(raw), "\ngo run ./cmd/gradus serve ")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "./cmd/gradus", "serve")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PORT=0", "LOG_FORMAT=json")
	// go run does not pass signals on: address the whole group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	lines := bufio.NewScanner(stderr)
	var ready struct{ Msg, URL, Judge, Store string }
	for ready.Msg != "ready" && lines.Scan() {
		_ = json.Unmarshal(lines.Bytes(), &ready) // other lines may be of the go command
	}
	require.Equal(t, "ready", ready.Msg)
	require.Equal(t, "lexical", ready.Judge)
	require.Equal(t, "in-process", ready.Store)

	resp, err := http.Post(ready.URL+"/v1/grades", "application/json", bytes.NewReader(requestBody(t)))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	var grade api.Grade
	require.NoError(t, json.Unmarshal(body, &grade))
	require.NotNil(t, grade.Score)
	require.Greater(t, *grade.Score, 0.0)

	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
	stopped := false
	for lines.Scan() {
		stopped = stopped || strings.Contains(lines.Text(), "stopping")
	}
	_ = cmd.Wait() // go run ends by the signal; what it ran drained
	require.True(t, stopped, "it said that it drains")
}
