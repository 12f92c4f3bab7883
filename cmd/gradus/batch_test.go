package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

const (
	// batchWord stands in every answer and must be in nothing that is said.
	batchWord  = "zanzibarquokka"
	batchQuote = "delete every alert that nobody acts on"
)

var (
	allMet    = llmtest.Reply(`{"criteria":[{"id":"c1","evidence":["` + batchQuote + `"],"compare":"","verdict":"met","confidence":95}]}`)
	everyMet  = llmtest.Always(func(llmtest.Request) llmtest.Step { return allMet })
	batchOwn  = `{"question":"How would you make an exhausting rota bearable?","criteria":[{"id":"alerts","statement":"Deletes alerts that nobody acts on","weight":100}]}`
	batchAnsw = func(n int) string { return fmt.Sprintf("%s %d: I would %s.", batchWord, n, batchQuote) }
)

// bench is a folder with a file of answers.
type bench struct {
	t        *testing.T
	in, out  string
	flags    []string
	ran      string // what the latest run said on standard output
	said     string // and on standard error
	expected int
}

// newBench makes n answers; with repeats fewer of them differ.
func newBench(t *testing.T, n, distinct int, flags ...string) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, in: filepath.Join(dir, "answers.jsonl"), out: filepath.Join(dir, "results.jsonl"), flags: flags, expected: n}
	var text strings.Builder
	for i := range n {
		answer, err := json.Marshal(batchAnsw(i % distinct))
		require.NoError(t, err)
		fmt.Fprintf(&text, `{"id":"i%d","question":%s,"answer":%s}`+"\n", i, batchOwn, answer)
	}
	require.NoError(t, os.WriteFile(b.in, []byte(text.String()), 0o600))
	return b
}

// run runs the command in this process.
func (b *bench) run(ctx context.Context, more ...string) int {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	args := append([]string{"batch", b.in, "-o", b.out}, append(b.flags, more...)...)
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	b.ran, b.said = stdout.String(), stderr.String()
	require.NotContains(b.t, b.ran+b.said, batchWord)
	return code
}

// command is the command as a process of its own.
func (b *bench) command() *exec.Cmd {
	path, err := exec.LookPath("gradus")
	require.NoError(b.t, err)
	return exec.Command(path, append([]string{"batch", b.in, "-o", b.out}, b.flags...)...)
}

// rows are the results by id; each id is there once.
func (b *bench) rows() map[string]api.ResultRow {
	b.t.Helper()
	file, err := os.Open(b.out)
	require.NoError(b.t, err)
	defer func() { _ = file.Close() }()
	got := map[string]api.ResultRow{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row api.ResultRow
		require.NoError(b.t, json.Unmarshal(lines.Bytes(), &row), "%s", lines.Bytes())
		require.NotContains(b.t, got, row.ID)
		got[row.ID] = row
	}
	return got
}

// complete checks that every answer has its one result.
func (b *bench) complete() {
	b.t.Helper()
	rows := b.rows()
	require.Len(b.t, rows, b.expected)
	for id, row := range rows {
		require.Equal(b.t, api.RowGraded, row.Status, id)
		require.InDelta(b.t, 100, *row.Grade.Score, 0)
		require.Equal(b.t, fmt.Sprintf("i%d", row.Index), id)
	}
}

func withModel(m *llmtest.Server, more ...string) []string {
	return append([]string{"--openai-base-url", m.URL, "--openai-model", "m"}, more...)
}

func TestBatchAsksOncePerAnswerThatDiffers(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, everyMet)
	b := newBench(t, 60, 7, withModel(model)...)
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Equal(t, 7, model.Calls())
	require.Equal(t, `60 answers: 60 graded, 0 for review, 0 failed

scores  mean   median  lowest  best   strong  solid  developing  weak
        100.0  100.0   100.0   100.0  60      0      0           0

7 calls, 700 tokens in, 140 out; 53 calls saved
`, b.ran)
	require.Equal(t, exitOK, b.run(t.Context()))
	require.Equal(t, 7, model.Calls(), "nothing is graded twice")
}

func TestBatchLetsTheFirstAnswerOfAQuestionGoAhead(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, allMet), everyMet)
	b := newBench(t, 8, 8, withModel(model)...)
	code := make(chan int, 1)
	go func() { code <- b.run(t.Context()) }()
	model.Arrived(1)
	require.Equal(t, 1, model.Calls(), "its siblings wait for the prefix to be known")
	close(release)
	require.Equal(t, exitOK, <-code)
	b.complete()
}

func TestBatchGoesOnAfterKillAndTearing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	const before = 9
	model := llmtest.New(t, allMet.Times(before), llmtest.Hold(release, allMet).Times(4), everyMet)
	b := newBench(t, 40, 40, withModel(model, "--concurrency", "4")...)
	cmd := b.command()
	require.NoError(t, cmd.Start())
	model.Arrived(before + 4)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(b.out)
		return bytes.Count(text, []byte("\n")) == before
	}, patienceHere, 1e6, "what is graded is on the disk while the rest is being graded")
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	close(release)
	file, err := os.OpenFile(b.out, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"index":39,"id":"i39","status":"graded","grade":{"id":"gr_`)
	require.NoError(t, errors.Join(err, file.Close()))

	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Contains(t, b.said, "going on: 9 answers graded already, 31 to go")
	require.Equal(t, before+4+31, model.Calls())
}

func TestBatchFinishesWhatIsInFlightAtTheFirstCtrlC(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	model := llmtest.New(t, allMet, llmtest.Hold(release, allMet).Times(4), everyMet)
	b := newBench(t, 40, 40, withModel(model, "--concurrency", "4")...)
	cmd := b.command()
	talk, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	model.Arrived(5)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	lines := bufio.NewReader(talk)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "stopping: the answers in progress are being finished")
	close(release)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Equal(t, "interrupted; the same command goes on from "+b.out+"\n", string(rest))
	var ended *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &ended)
	require.Equal(t, exitInterrupted, ended.ExitCode())
	kept := len(b.rows())
	require.GreaterOrEqual(t, kept, 5, "what was paid for is kept")
	require.Equal(t, model.Calls(), kept)

	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Equal(t, 40, model.Calls())
}

func TestBatchStopsAtTheSecondCtrlC(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, allMet, llmtest.Hang().Times(4), everyMet)
	b := newBench(t, 40, 40, withModel(model, "--concurrency", "4")...)
	cmd := b.command()
	require.NoError(t, cmd.Start())
	model.Arrived(5)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	require.Eventually(t, func() bool { // the first is not always taken before the second
		_ = cmd.Process.Signal(syscall.SIGINT)
		return len(ended) > 0
	}, patienceHere, 5e6)
	require.Error(t, <-ended)
	require.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
}

// patienceHere bounds waits for other processes, in nanoseconds.
const patienceHere = 30e9

func TestBatchSaysWhatToDoAboutAModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		step llmtest.Step
		says string
	}{
		{"that is down", llmtest.Status(503, ""), "gave up waiting for the judge"},
		{"that refuses the key", llmtest.Failure(401, "invalid_api_key", "no"), "does not accept the key"},
		{"whose quota is spent", llmtest.Failure(429, "insufficient_quota", "no"), "quota is used up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			down := llmtest.New(t, llmtest.Always(func(llmtest.Request) llmtest.Step { return c.step }))
			b := newBench(t, 3, 3, withModel(down)...)
			require.Equal(t, exitFailure, b.run(t.Context()))
			require.Contains(t, b.said, "stopped: ")
			require.Contains(t, b.said, c.says)
			require.Contains(t, b.said, "the same command goes on from "+b.out)
			require.Empty(t, b.rows(), "a failure is no result")
		})
	}
}

func TestBatchWithAnswersForReview(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		if strings.Contains(r.Text(), batchAnsw(1)) {
			return llmtest.Refusal()
		}
		return allMet
	}))
	b := newBench(t, 3, 3, withModel(model)...)
	require.Equal(t, exitIncomplete, b.run(t.Context()))
	require.Contains(t, b.ran, "3 answers: 2 graded, 1 for review, 0 failed")
	row := b.rows()["i1"]
	require.Equal(t, api.RowNeedsReview, row.Status)
	require.Nil(t, row.Grade.Score)
	calls := model.Calls()
	require.Equal(t, exitIncomplete, b.run(t.Context()), "it still needs one")
	require.Equal(t, calls, model.Calls())
}

func TestBatchStopsAtItsLimitAndGoesOnWithMore(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, everyMet)
	// 100 tokens in and 20 out: one cent a call.
	b := newBench(t, 12, 12, withModel(model, "--price", "100,100,0")...)
	require.Equal(t, exitIncomplete, b.run(t.Context(), "--max-cost", "0.05"))
	require.Equal(t, 5, model.Calls())
	require.Contains(t, b.ran, "12 answers: 5 graded, 0 for review, 7 failed")
	require.Contains(t, b.ran, "failed: "+api.CostLimit.Title+" (7)")
	require.Contains(t, b.ran, "$0.0500")
	require.Len(t, b.rows(), 12)

	require.Equal(t, exitOK, b.run(t.Context(), "--max-cost", "0.5"), b.said)
	b.complete()
	require.Equal(t, 12, model.Calls())

	unpriced := newBench(t, 1, 1, withModel(model)...)
	require.Equal(t, exitUsage, unpriced.run(t.Context(), "--max-cost", "1"))
	require.Contains(t, unpriced.said, "GRADUS_PRICE")
	require.Equal(t, 12, model.Calls())
}

func TestBatchEstimates(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, everyMet)
	b := newBench(t, 6, 4, withModel(model)...)
	require.Equal(t, exitOK, b.run(t.Context(), "--estimate"))
	require.Contains(t, b.ran, "6 answers, 4 distinct, 0 graded already\n4 calls, about ")
	require.Contains(t, b.ran, "set GRADUS_PRICE")
	require.Equal(t, exitOK, b.run(t.Context(), "--estimate", "--price", "100,10,800"))
	require.Regexp(t, `about \$\d+\.\d\d\n`, b.ran)
	require.Zero(t, model.Calls())
	require.NoFileExists(t, b.out)
}

func TestBatchOfTenThousand(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10_000, 10_000)
	require.Equal(t, exitOK, b.run(t.Context(), "--quiet"), b.said)
	require.Len(t, b.rows(), 10_000)
	require.Empty(t, b.said)
}

func TestBatchWaitsForAnswersNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	input := &endless{asked: make(chan struct{})}
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"batch", "-", "--format", "jsonl", "-o", "-"}, input, &stdout, &stderr)
	}()
	<-input.asked
	interrupt()
	require.Equal(t, exitInterrupted, <-code)
}

func TestBatchLeavesAFileAloneThatMayNotBeWritten(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		// Root may write everything: a name that is none of a file stands in.
		b := newBench(t, 1, 1)
		b.out = "/proc/version.jsonl"
		require.Equal(t, exitUsage, b.run(t.Context()))
		return
	}
	b := newBench(t, 2, 2)
	require.NoError(t, os.WriteFile(b.out, nil, 0o400))
	require.Equal(t, exitUsage, b.run(t.Context()))
	require.Contains(t, b.said, "permission denied")
}
