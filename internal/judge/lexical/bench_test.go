package lexical

import (
	"context"
	"strings"
	"testing"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// benchTask is an answer of about 150 words to a question of eight criteria.
func benchTask(b *testing.B) judge.Task {
	for _, q := range shippedSet(b).Questions {
		if len(q.Criteria) >= 8 && len(strings.Fields(q.SampleAnswer)) >= 140 {
			return judge.Task{Question: q, Answer: q.SampleAnswer}
		}
	}
	b.Fatal("no question of eight criteria with a long sample answer")
	return judge.Task{}
}

func BenchmarkJudge(b *testing.B) {
	task, j := benchTask(b), New()
	if _, err := j.Judge(context.Background(), task); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Judge(context.Background(), task); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(strings.Fields(task.Answer))), "words")
}

func BenchmarkCompile(b *testing.B) {
	task := benchTask(b)
	compile(task.Question)
	b.ReportAllocs()
	for b.Loop() {
		compile(task.Question)
	}
}

func BenchmarkCompileInline(b *testing.B) {
	q, err := rubric.Inline(rubric.Question{
		Text:     "What is the difference between a process and a thread?",
		Criteria: []rubric.Criterion{{ID: "a", Statement: "Says that each process sees memory of its own"}, {ID: "b", Statement: "Says that threads share memory"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	compile(q)
	b.ReportAllocs()
	for b.Loop() {
		compile(q)
	}
}

func BenchmarkCompileBorrowing(b *testing.B) {
	q := releaseQuestion(b)
	compile(q)
	b.ReportAllocs()
	for b.Loop() {
		compile(q)
	}
}
