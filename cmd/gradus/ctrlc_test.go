package main_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

func TestSecondCtrlCEndsAServiceThatDrains(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Hang())
	p := startServe(t, "OPENAI_BASE_URL="+model.URL)
	p.ask(clientFor(t)) // its answer is lost, as was asked for
	model.Arrived(1)
	p.signal(syscall.SIGINT)
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "stopping") }, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		select {
		case <-p.done:
			return true
		default:
			_ = p.cmd.Process.Signal(syscall.SIGINT) // it may end in between
			return false
		}
	}, patience, 5*time.Millisecond)
	require.Equal(t, syscall.SIGINT, p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
}
