package openai_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

// watched is a question whose reply is watched, with what was seen.
func watched() (llm.Request, *[]string) {
	req, seen := question(), &[]string{}
	req.Watch = func(text string) { *seen = append(*seen, text) }
	return req, seen
}

func TestAWatchedReplyIsTheSameReply(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]llmtest.Step{
		"a text":        llmtest.Reply("naïve 👩‍🚒 words").Using(90, 64, 7).As("m-2026"),
		"one cut short": llmtest.Truncated("and then").Using(90, 0, 7),
		"a refusal":     llmtest.Refusal(),
		"one withheld":  llmtest.Filtered(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, step.Times(2))
			c := client(t, model, "m")
			plain, err := c.Complete(t.Context(), question())
			require.NoError(t, err)
			req, seen := watched()
			streamed, err := c.Complete(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, plain, streamed)
			require.False(t, model.Requests()[0].Stream)
			require.True(t, model.Requests()[1].Stream)
			before := ""
			for _, text := range *seen {
				require.True(t, strings.HasPrefix(text, before))
				before = text
			}
			require.Equal(t, plain.Text, before)
		})
	}
}

func TestWhatDoesNotStreamIsNotWatched(t *testing.T) {
	t.Parallel()
	whole := llmtest.Body(200, "application/json",
		`{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}`)
	t.Run("an endpoint that answers in one piece all the same", func(t *testing.T) {
		t.Parallel()
		req, seen := watched()
		reply, err := client(t, llmtest.New(t, whole), "m").Complete(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "fine", reply.Text)
		require.Empty(t, *seen)
	})
	t.Run("an endpoint that refuses to, which is remembered", func(t *testing.T) {
		t.Parallel()
		model := llmtest.New(t, llmtest.Unsupported("stream_options"), whole.Times(2))
		c := client(t, model, "m")
		for range 2 {
			req, _ := watched()
			_, err := c.Complete(t.Context(), req)
			require.NoError(t, err)
		}
		require.False(t, model.Requests()[2].Stream)
	})
}

func TestABrokenStreamIsNoReply(t *testing.T) {
	t.Parallel()
	const piece = `data: {"choices":[{"index":0,"delta":{"content":"{\"criteria\":[]}"},"finish_reason":null}]}` + "\n\n"
	stream := func(text string) llmtest.Step { return llmtest.Body(200, "text/event-stream", text) }
	for _, c := range []struct {
		name, reason string
		step         llmtest.Step
	}{
		{"that ends without an end", "cut reply", stream(piece)},
		{"that is done before it is finished", "cut reply", stream(piece + "data: [DONE]\n\n")},
		{"that turns into an error", "error in reply", stream(piece + `data: {"error":{"message":"secret words","code":"x"}}` + "\n\n")},
		{"that is not JSON", "broken connection", stream(piece + "data: {oops\n\n")},
		{"without end", "oversized reply", stream(strings.Repeat(piece, 400))},
		{"that is an error page", "unreadable reply", llmtest.Body(200, "text/html", "<html>")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			client, err := openai.New(openai.Config{BaseURL: model.URL, Model: "m", ReplyLimit: 1024})
			require.NoError(t, err)
			req, _ := watched()
			_, err = client.Complete(t.Context(), req)
			require.ErrorContains(t, err, "model is unavailable: "+c.reason)
			require.NotContains(t, err.Error(), "secret")
			require.True(t, llm.Retryable(err))
		})
	}
}

func TestAStreamThatStopsIsLeft(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Pieces(make(chan struct{}), "some", "more"))
	client, err := openai.New(openai.Config{BaseURL: model.URL, Model: "m", IdleTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	req, seen := watched()
	_, err = client.Complete(t.Context(), req)
	require.ErrorContains(t, err, "stalled reply")
	require.True(t, llm.Retryable(err))
	require.Equal(t, []string{"some"}, *seen)
}
