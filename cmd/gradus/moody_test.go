package main_test

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// moody is a model that answers well most of the time. What it does is decided
// by a seed, the answer it is asked about and how often that was before, so that
// a second try meets another fate.
type moody struct {
	*llmtest.Server
	seed uint64

	mu     sync.Mutex
	asked  map[int]int
	judged map[int]int  // good replies, by answer
	kept   map[int]bool // answers whose grade somebody has read
	calls  int
	wasted map[int]int // calls about those
	moods  map[string]int
}

// subject finds the answer that a prompt is about.
var subject = regexp.MustCompile(secretWord + `(\d+)x`)

// answerNo is an answer of its own. The even ones meet both criteria.
func answerNo(n int) string {
	text := fmt.Sprintf("%s%dx: I would delete every alert that nobody acts on.", secretWord, n)
	if n%2 == 0 {
		text += " Then I would write a runbook for every alert that stays."
	}
	return text
}

// scoreOf is what an answer deserves.
func scoreOf(n int) float64 {
	if n%2 == 0 {
		return 100
	}
	return 60
}

const rotaQuestion = `{"question":"How would you make an exhausting rota bearable?","criteria":[` +
	`{"id":"alerts","statement":"Deletes alerts that nobody acts on","weight":60},` +
	`{"id":"runbooks","statement":"Writes a runbook for every alert that stays","weight":40}]}`

func judgement(n int) string {
	second := `{"id":"c2","evidence":[],"compare":"","verdict":"missed","confidence":95}`
	if n%2 == 0 {
		second = `{"id":"c2","evidence":["write a runbook for every alert that stays"],"compare":"","verdict":"met","confidence":95}`
	}
	return `{"criteria":[{"id":"c1","evidence":["delete every alert that nobody acts on"],"compare":"","verdict":"met","confidence":95},` + second + `]}`
}

func newMoody(t *testing.T, seed uint64) *moody {
	m := &moody{seed: seed, asked: map[int]int{}, judged: map[int]int{}, kept: map[int]bool{}, wasted: map[int]int{}, moods: map[string]int{}}
	m.Server = llmtest.New(t, llmtest.Always(m.play))
	return m
}

func (m *moody) play(r llmtest.Request) llmtest.Step {
	n := -1
	if found := subject.FindStringSubmatch(r.Text()); found != nil {
		n, _ = strconv.Atoi(found[1]) // digits only
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if n < 0 {
		m.moods["asked about nothing"]++
		return llmtest.Status(400, "")
	}
	if m.kept[n] {
		m.wasted[n]++
	}
	m.asked[n]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %d", m.seed, n, m.asked[n])
	fate := h.Sum64()
	roll, pause := fate%100, time.Duration(100+fate>>16%500)*time.Millisecond
	text := judgement(n)
	for _, mood := range []struct {
		name    string
		percent uint64
		step    llmtest.Step
	}{
		{"429 with Retry-After", 4, llmtest.Status(429, "1")},
		{"429", 2, llmtest.Status(429, "")},
		{"500", 4, llmtest.Failure(500, "server_error", secretWord)},
		{"hang", 1, llmtest.Hang()},
		{"slow", 2, llmtest.Slow(3*time.Second, llmtest.Reply(text))},
		{"truncated", 3, llmtest.Slow(pause, llmtest.Truncated(text[:60]))},
		{"malformed", 3, llmtest.Slow(pause, llmtest.Reply("I would say 100 points for "+secretWord))},
		{"a criterion missing", 1, llmtest.Slow(pause, llmtest.Reply(text[:len(text)/2]))},
		{"no choices", 1, llmtest.NoChoices()},
		{"reset", 1, llmtest.Reset()},
		{"cut", 1, llmtest.Cut()},
		{"refusal", 1, llmtest.Slow(pause, llmtest.Refusal())},
	} {
		if roll < mood.percent {
			m.moods[mood.name]++
			if mood.name == "slow" {
				m.judged[n]++
			}
			return mood.step
		}
		roll -= mood.percent
	}
	m.judged[n]++
	return llmtest.Slow(pause, llmtest.Reply(text))
}

// seen notes that somebody has read a grade of an answer.
func (m *moody) seen(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[n] = true
}

// isJudged reports whether the model ever gave a whole judgement of an answer.
func (m *moody) isJudged(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.judged[n] > 0
}
