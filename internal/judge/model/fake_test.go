package model

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/prompts"
)

// rollout has four criteria, the weightiest in the middle.
var rollout = &rubric.Question{
	Ref:          "releases/risky-change",
	ID:           "risky-change",
	Text:         "How would you bring a risky change to production?",
	Guidance:     "Talk about exposure, measurement and the way back.",
	SampleAnswer: "Give it to a small share of users, watch the error budget, and keep the old version warm.",
	Criteria: []rubric.Criterion{
		{ID: "canary", Kind: rubric.Core, Weight: 20, Statement: "Exposes the change to a small share of traffic first.", Phrases: []string{"canary release"}},
		{ID: "rollback", Kind: rubric.Core, Weight: 40, Statement: "Prepares a quick rollback.", Phrases: []string{"revert to the old version"}},
		{ID: "metrics", Kind: rubric.Core, Weight: 30, Statement: "Watches error rates and latency.", Phrases: []string{"monitor dashboards"}},
		{ID: "review", Kind: rubric.Core, Weight: 10, Statement: "Has a colleague review the plan."},
	},
}

const goodAnswer = "I would start with a canary on two percent of traffic. If error rates climb, one command will revert to the old version. " +
	"A colleague goes through my runbook beforehand."

var secret = []byte("0123456789abcdef0123456789abcdef")

// fake is a model played by a function. It keeps what it was asked.
type fake struct {
	play func(req llm.Request) (*llm.Reply, error)

	mu    sync.Mutex
	asked []llm.Request
}

func (f *fake) Complete(_ context.Context, req llm.Request) (*llm.Reply, error) {
	f.mu.Lock()
	f.asked = append(f.asked, req)
	f.mu.Unlock()
	return f.play(req)
}

func (f *fake) Models() []string { return []string{"small-1", "large-1"} }

func (f *fake) kinds() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	kinds := make([]string, len(f.asked))
	for i, req := range f.asked {
		kinds[i] = kindOf(req)
	}
	return kinds
}

// kindOf names a request: "all", "repair", "quotes ID" or "only ID".
func kindOf(req llm.Request) string {
	if len(req.Messages) > 2 {
		return "repair"
	}
	if req.SchemaName != "verdicts_1" {
		return "all"
	}
	for _, c := range rollout.Criteria {
		if strings.Contains(req.Messages[0].Text, c.Statement) {
			if strings.Contains(req.Messages[0].Text, "whether passages") {
				return "quotes " + c.ID
			}
			return "only " + c.ID
		}
	}
	return "unknown"
}

func says(text string) *llm.Reply {
	return &llm.Reply{Text: text, Model: "small-1-2026", Usage: llm.Usage{PromptTokens: 100, CachedTokens: 40, CompletionTokens: 20}}
}

// scripted answers by the kind of request; a kind that is not in it fails.
func scripted(replies map[string]string) *fake {
	return &fake{play: func(req llm.Request) (*llm.Reply, error) {
		text, found := replies[kindOf(req)]
		if !found {
			return nil, fmt.Errorf("not expected to be asked for %s", kindOf(req))
		}
		return says(text), nil
	}}
}

func newJudge(t testing.TB, completer llm.Completer, change ...func(*Config)) *Judge {
	t.Helper()
	p, err := prompt.New(prompts.FS)
	require.NoError(t, err)
	cfg := Config{Completer: completer, Prompts: p, Secret: secret}
	for _, c := range change {
		c(&cfg)
	}
	j, err := New(cfg)
	require.NoError(t, err)
	return j
}

func grade(t testing.TB, j *Judge, answer string) *judge.Judgement {
	t.Helper()
	got, err := j.Judge(t.Context(), judge.Task{Question: rollout, Answer: answer})
	require.NoError(t, err)
	require.Len(t, got.Findings, len(rollout.Criteria))
	for i, f := range got.Findings {
		require.Equal(t, rollout.Criteria[i].ID, f.CriterionID)
		require.Equal(t, f.Verdict.Credit(), f.Credit)
		if f.Verdict.Credited() {
			require.NotEmpty(t, f.Evidence, "points without proof")
		}
		for _, quote := range f.Evidence {
			require.Equal(t, string([]rune(answer)[quote.Start:quote.End]), quote.Text)
		}
	}
	return got
}

func verdicts(j *judge.Judgement) []judge.Verdict {
	out := make([]judge.Verdict, len(j.Findings))
	for i, f := range j.Findings {
		out[i] = f.Verdict
	}
	return out
}

// honest is a reply that needs no second look.
var honest = reply(
	entry("c1", "met", 95, "canary on two percent of traffic"),
	entry("c2", "met", 90, "one command will revert to the old version"),
	strings.Replace(entry("c3", "partial", 80, "If error rates climb"), `"compare":""`, `"compare":"Latency is not watched."`, 1),
	entry("c4", "missed", 85),
)
