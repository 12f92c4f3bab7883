package llmtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// witness is a testing.TB that keeps failures instead of failing.
type witness struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (w *witness) Helper()           {}
func (w *witness) Cleanup(do func()) { w.cleanups = append(w.cleanups, do) }
func (w *witness) Errorf(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

func (w *witness) end() {
	for _, do := range w.cleanups {
		do()
	}
}

const question = `{"model":"m","temperature":0,"messages":[{"role":"system","content":"rules"},{"role":"user","content":"hello"}],
	"response_format":{"type":"json_schema","json_schema":{"name":"grade","schema":{"type":"object"},"strict":true}}}`

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func post(t *testing.T, url string) answer {
	t.Helper()
	resp, err := http.Post(url+"/chat/completions", "application/json", strings.NewReader(question))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(raw)}
}

func TestScriptIsFollowedInOrder(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t,
		llmtest.Status(429, "7"),
		llmtest.Reply(map[string]int{"a": 1}).As("other").Using(30, 20, 10),
		llmtest.Truncated("cut").Times(2),
	)
	got := post(t, model.URL)
	require.Equal(t, 429, got.status)
	require.Equal(t, "7", got.header.Get("Retry-After"))

	got = post(t, model.URL)
	require.Equal(t, 200, got.status)
	var reply struct {
		Model   string
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Prompt  int `json:"prompt_tokens"`
			Details struct {
				Cached int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &reply))
	require.Equal(t, "other", reply.Model)
	require.JSONEq(t, `{"a":1}`, reply.Choices[0].Message.Content)
	require.Equal(t, 30, reply.Usage.Prompt)
	require.Equal(t, 20, reply.Usage.Details.Cached)

	for range 2 {
		require.Contains(t, post(t, model.URL).body, `"finish_reason":"length"`)
	}
	require.Equal(t, 4, model.Calls())
}

func TestRequestsAreRecordedAsTheyStoodOnTheWire(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("ok"))
	post(t, model.URL)
	got := model.Requests()[0]
	require.Equal(t, "m", got.Model)
	require.Equal(t, "0", got.Param("temperature"))
	require.False(t, got.Has("max_tokens"))
	require.Equal(t, "json_schema", got.Format)
	require.Equal(t, "grade", got.SchemaName)
	require.JSONEq(t, `{"type":"object"}`, string(got.Schema))
	require.True(t, got.Strict)
	require.Equal(t, "hello", got.Last())
	require.Equal(t, "rules\nhello", got.Text())
	require.Equal(t, "/v1/chat/completions", got.Path)
}

func TestLeftOverStepsFailTheTest(t *testing.T) {
	t.Parallel()
	w := &witness{TB: t}
	model := llmtest.New(w, llmtest.Reply("one"), llmtest.Reply("two"))
	post(t, model.URL)
	w.end()
	require.Len(t, w.failures, 1)
	require.Contains(t, w.failures[0], "1 of the script's steps")
}

func TestUnscriptedRequestFailsTheTest(t *testing.T) {
	t.Parallel()
	w := &witness{TB: t}
	model := llmtest.New(w)
	require.Equal(t, http.StatusNotFound, post(t, model.URL).status)
	w.end()
	require.Len(t, w.failures, 1)
	require.Contains(t, w.failures[0], "the script has ended")
}

func TestAlwaysMayBeAskedAnyNumberOfTimes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3} {
		w := &witness{TB: t}
		model := llmtest.New(w, llmtest.Always(func(r llmtest.Request) llmtest.Step {
			return llmtest.Reply(fmt.Sprintf("echo %d: %s", r.Number, r.Last()))
		}))
		for i := range n {
			require.Contains(t, post(t, model.URL).body, fmt.Sprintf("echo %d: hello", i+1))
		}
		w.end()
		require.Empty(t, w.failures)
	}
}

func TestHeldRequestWaitsForItsRelease(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, llmtest.Reply("late")))
	done := make(chan int)
	go func() {
		resp, err := http.Post(model.URL+"/chat/completions", "application/json", bytes.NewBufferString(question))
		if err != nil {
			done <- 0
			return
		}
		_ = resp.Body.Close()
		done <- resp.StatusCode
	}()
	model.Arrived(1)
	select {
	case <-done:
		t.Fatal("answered before the release")
	default:
	}
	close(release)
	require.Equal(t, 200, <-done)
}

func TestModelsAreListed(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	model.SetModels("b", "a")
	resp, err := http.Get(model.URL + "/models")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Regexp(t, `"id":"b".*"id":"a"`, string(raw))
}
