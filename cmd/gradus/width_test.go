package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"charm.land/lipgloss/v2"

	"github.com/gradus-ai/gradus/internal/rubric"
)

func TestProseFitsTheTerminal(t *testing.T) {
	t.Parallel()
	question := &rubric.Question{
		Ref: "platform/on-call", Kind: rubric.Technical, Text: strings.Repeat("What do you do first? ", 12),
		Guidance: strings.Repeat("Say it in order. ", 20),
		Criteria: []rubric.Criterion{{ID: "alerts", Statement: strings.Repeat("deletes alerts ", 12), Weight: 100}},
	}
	for _, width := range []int{narrowest, 44, widest} {
		var out bytes.Buffer
		require.NoError(t, printQuestion(&terminal{out: &out, width: width}, question, false))
		longest := 0
		for line := range strings.Lines(out.String()) {
			longest = max(longest, lipgloss.Width(strings.TrimSuffix(line, "\n")))
		}
		require.LessOrEqual(t, longest, width)
		require.Greater(t, longest, width-len("alerts "), "no narrower than needed")
	}
	require.Equal(t, widest, widthFor(&bytes.Buffer{}), "a pipe has no edge")
}
