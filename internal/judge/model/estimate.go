package model

import (
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
)

// What an estimate goes by. Tokens of English text have four characters or a
// little more; a verdict with its quotes takes some forty tokens.
const (
	charsPerToken     = 4
	replyBase         = 10
	replyPerCriterion = 40
)

// minCachedPrefix is the shortest prefix, in tokens, that hosted endpoints
// cache.
const minCachedPrefix = 1024

// Openings are the requests that judging an answer begins with; none for an
// answer that is judged without a call. What follows (second looks, repairs)
// depends on the replies.
func (j *Judge) Openings(task judge.Task) ([]llm.Request, error) {
	h, err := j.open(task)
	if err != nil || h.task.Reading.Answer.Blank() {
		return nil, err
	}
	return j.openings(task, h.mark)
}

func (j *Judge) openings(task judge.Task, mark string) ([]llm.Request, error) {
	criteria := len(task.Question.Criteria)
	if !j.cfg.Thorough {
		rendered, err := j.cfg.Prompts.Grade(task.Question, task.Answer, mark)
		if err != nil {
			return nil, err
		}
		return []llm.Request{request(rendered, criteria)}, nil
	}
	out := make([]llm.Request, criteria)
	for i := range out {
		rendered, err := j.cfg.Prompts.Criterion(task.Question, i, task.Answer, mark)
		if err != nil {
			return nil, err
		}
		out[i] = request(rendered, 1)
	}
	return out, nil
}

// Estimate is what judging an answer would cost, by the length of its prompt
// and of a usual reply; nobody is asked. With warm the part of the prompt that
// all answers to the question share counts as cached, where it is long enough.
// Second looks, repairs and retries are not in it.
func (j *Judge) Estimate(task judge.Task, warm bool) (judge.Usage, error) {
	if task.Reading != nil && task.Reading.Answer.Blank() {
		return judge.Usage{}, nil
	}
	requests, err := j.openings(task, j.mark(task.Answer))
	if err != nil {
		return judge.Usage{}, err
	}
	var sum judge.Usage
	for _, req := range requests {
		sum = sum.Plus(j.estimate(req, len(task.Question.Criteria)/len(requests), warm))
	}
	return sum, nil
}

// estimate is what one request about n criteria would cost.
func (j *Judge) estimate(req llm.Request, n int, warm bool) judge.Usage {
	var usage llm.Usage
	prefix := 0
	for i, m := range req.Messages {
		if i < len(req.Messages)-1 {
			prefix += len(m.Text)
		} else {
			usage.PromptTokens = (prefix + len(m.Text)) / charsPerToken
		}
	}
	if prefix /= charsPerToken; warm && prefix >= minCachedPrefix {
		usage.CachedTokens = prefix
	}
	usage.CompletionTokens = replyBase + replyPerCriterion*n
	made := judge.Usage{Calls: 1, PromptTokens: usage.PromptTokens, CachedTokens: usage.CachedTokens, CompletionTokens: usage.CompletionTokens}
	if j.cfg.Price != nil {
		if cost, known := j.cfg.Price(first(j.cfg.Completer.Models()), usage); known {
			made.CostUSD = &cost
		}
	}
	return made
}
