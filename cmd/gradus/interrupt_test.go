package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// endless is an input on which nothing ever arrives.
type endless struct {
	once  sync.Once
	asked chan struct{} // closed when somebody begins to read
}

func (e *endless) Read([]byte) (int, error) {
	e.once.Do(func() { close(e.asked) })
	select {}
}

func TestInterruptedAtWork(t *testing.T) {
	t.Parallel()
	const question = "lead-platform-engineer/first-90-days"
	input := &endless{asked: make(chan struct{})}
	model := llmtest.New(t, llmtest.Hang())
	for _, c := range []struct {
		name  string
		input io.Reader
		args  []string
		begun func()
	}{
		{"while the answer is read", input, []string{"grade", "-q", question}, func() { <-input.asked }},
		{
			"while the model is asked", strings.NewReader("I would measure lead time first."),
			[]string{"grade", "-q", question, "--openai-base-url", model.URL, "--openai-model", "m"},
			func() { model.Arrived(1) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var stdout, stderr bytes.Buffer
			code := make(chan int, 1)
			go func() { code <- run(ctx, c.args, c.input, &stdout, &stderr) }()
			c.begun()
			interrupt()
			select {
			case got := <-code:
				require.Equal(t, exitInterrupted, got)
			case <-time.After(30 * time.Second):
				require.Fail(t, "it goes on")
			}
			require.Empty(t, stdout.String())
			require.Equal(t, "gradus: interrupted\n", stderr.String())
		})
	}
}
