package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

const theKey = "an-api-key-of-more-than-thirty-two-characters"

// askThere runs gradus batch against a service.
func askThere(t *testing.T, dir, url, key string, more ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(self(t), append([]string{"batch", "answers.jsonl", "-o", "results.jsonl", "--server", url}, more...)...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "GRADUS_API_KEY=" + key}
	return cmd
}

func said(cmd *exec.Cmd) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run() // the code tells
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

func writeAnswers(t *testing.T, dir string, n int) {
	t.Helper()
	var text strings.Builder
	for i := range n {
		item, err := json.Marshal(api.BatchItem{
			ID: fmt.Sprintf("i%d", i), Answer: fmt.Sprintf("%s %d. I would delete every alert that nobody acts on.", secretWord, i),
			Question: &api.Question{Question: "How would you make an exhausting rota bearable?", Criteria: []api.Criterion{
				{ID: "alerts", Statement: "Deletes alerts that nobody acts on", Weight: new(100.0)},
			}},
		})
		require.NoError(t, err)
		text.Write(append(item, '\n'))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answers.jsonl"), []byte(text.String()), 0o600))
}

func TestBatchOnAServiceGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	const n = 24
	release := make(chan struct{})
	model := llmtest.New(t, likesIt.Times(3), llmtest.Hold(release, likesIt).Times(2), llmtest.Always(func(llmtest.Request) llmtest.Step { return likesIt }))
	p := startServe(t, "OPENAI_BASE_URL="+model.URL, "GRADUS_CONCURRENCY=2", "GRADUS_API_KEYS="+theKey)
	dir := t.TempDir()
	writeAnswers(t, dir, n)

	_, stderr, code := said(askThere(t, dir, p.url, "wrong"))
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "set GRADUS_API_KEY")
	stdout, stderr, code := said(askThere(t, dir, p.url, theKey, "--estimate"))
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "24 answers, 24 distinct, 0 graded already\n24 calls, about ")
	require.Zero(t, model.Calls())

	cmd := askThere(t, dir, p.url, theKey)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	require.NoError(t, cmd.Start())
	model.Arrived(5)
	note := filepath.Join(dir, "results.jsonl.server.json")
	require.Eventually(t, func() bool { _, err := os.Stat(note); return err == nil }, patience, 1e6)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, 130, cmd.ProcessState.ExitCode(), talk.String())
	require.Contains(t, talk.String(), "goes on at "+p.url)
	require.Contains(t, talk.String(), "the same command goes on from results.jsonl")
	text, err := os.ReadFile(note)
	require.NoError(t, err)
	require.NotContains(t, string(text), secretWord)
	close(release)

	stdout, stderr, code = said(askThere(t, dir, p.url, theKey))
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "24 answers: 24 graded, 0 for review, 0 failed")
	require.NotContains(t, stdout+stderr, secretWord)
	require.NoFileExists(t, note)
	require.Equal(t, n, model.Calls(), "one batch, collected by two commands")
	results, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	require.NoError(t, err)
	for i := range n {
		require.Equal(t, 1, bytes.Count(results, fmt.Appendf(nil, `"id":"i%d"`, i)))
	}
	_, stderr, code = said(askThere(t, dir, p.url, theKey))
	require.Equal(t, 0, code)
	require.Contains(t, stderr, "24 answers graded already, 0 to go")
}

func TestBatchOnAServiceNamesFaultsByTheirLine(t *testing.T) {
	t.Parallel()
	p := startServe(t)
	dir := t.TempDir()
	text := `{"id":"a","question_id":"lead-platform-engineer/first-90-days","answer":"x"}

{"id":"b","question_id":"nowhere/nothing","answer":"x"}
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answers.jsonl"), []byte(text), 0o600))
	_, stderr, code := said(askThere(t, dir, p.url, ""))
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "answers:3: question_id: ")
	stdout, _, code := said(askThere(t, dir, p.url, "", "--on-error", "skip"))
	require.Equal(t, 3, code)
	require.Contains(t, stdout, "1 answer: 1 graded, 0 for review, 0 failed, 1 row skipped")

	nobody := askThere(t, t.TempDir(), "http://127.0.0.1:1", "")
	nobody.Dir = dir
	nobody.Args[4] = "other.jsonl"
	_, stderr, code = said(nobody)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "call the service")
}

// TestReadmeBatches runs the README's commands for batches one after another.
func TestReadmeBatches(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	commands := regexp.MustCompile(`(?m)^bin/gradus (batch [^#\n]*)`).FindAllSubmatch(raw, -1)
	require.Len(t, commands, 3)
	p := startServe(t)
	dir := t.TempDir()
	text := "id,question_id,answer\nann,lead-platform-engineer/first-90-days,I would interview every squad.\nbob,lead-platform-engineer/first-90-days,\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answers.csv"), []byte(text), 0o600))
	for _, c := range commands {
		args := strings.Fields(strings.ReplaceAll(string(c[1]), "http://localhost:8080", p.url))
		cmd := exec.Command(self(t), args...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
		_, stderr, code := said(cmd)
		require.Equal(t, 0, code, "%s: %s", c[1], stderr)
	}
	here, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	require.NoError(t, err)
	there, err := os.ReadFile(filepath.Join(dir, "there.jsonl"))
	require.NoError(t, err)
	for _, results := range [][]byte{here, there} {
		require.Equal(t, 2, bytes.Count(results, []byte("\n")))
		require.Contains(t, string(results), `"score":`)
	}
}
