package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/judge/lexical"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// eightClaims is a question of eight criteria.
const eightClaims = `version: 1
id: rota
title: The rota
questions:
  - id: calm
    kind: technical
    question: The people on call are exhausted. What do you do in your first three months?
    intent: Whether the candidate measures a burden before spreading it, and removes causes before symptoms.
    guidance: A good answer begins with figures, cuts noise, makes what remains easy to handle, shares it fairly and shows that it got better.
    sample_answer: >-
      I start with the pages of the last quarter, sorted by service and by hour. Whatever nobody acted on goes. What stays gets a
      page of instructions with the owner on top. Then I look at who carries how many nights and even it out, and I report sleep
      lost each month until it is boring.
    criteria:
      - {id: figures, statement: Counts pages per person and hour before acting, weight: 20, phrases: [measured how often people are woken, looked at the number of alerts each engineer gets]}
      - {id: noise, statement: Deletes alerts that nobody acts on, weight: 20, phrases: [removed noisy alerts, silenced pages without any action]}
      - {id: runbooks, statement: Writes a runbook for every alert that stays, weight: 10, phrases: [instructions for each page, documented what to do]}
      - {id: fairness, statement: Spreads nights evenly across the team, weight: 10, phrases: [rotated night shifts fairly, shared the load]}
      - {id: rest, statement: Gives time off after a broken night, weight: 10, phrases: [compensated interrupted sleep, a late start the next morning]}
      - {id: owners, statement: Makes the owners of a noisy service stop shipping, weight: 10, phrases: [error budget pauses features, teams that page others repair first]}
      - {id: newcomers, statement: Lets newcomers shadow before they carry a pager, weight: 10, phrases: [trained new colleagues beside experienced ones]}
      - {id: proof, statement: Reports monthly whether sleep improved, weight: 10, phrases: [tracked interrupted nights over time, showed the trend]}
`

// calmAnswer has some 150 words; a number follows that makes it another one.
const calmAnswer = "In the first two weeks I would count pages per person and hour, because people who are tired remember the worst night and not the usual one. " +
	"With that list in hand I would remove alerts on which nobody acts, together with those who are woken, so that nobody fears a silent outage. " +
	"Next we write down for each alert that stays what it means, what to look at, whom to call and when to go back to bed. " +
	"A colleague who joined last month walks along for two rotations before carrying the pager. " +
	"Then nights are spread evenly, the plan is published a quarter ahead, people swap freely and sleep in after a broken night. " +
	"Finally I report each month whether sleep got better, with the same count as at the beginning, and say openly when it has not. " +
	"A service that keeps waking people gets no new features until it is repaired. Case number "

// BenchmarkLexicalGrades grades answers of 150 words against 8 criteria without
// a model, each answer another one: the judge alone, the grading service with
// its checks and feedback, and the whole program over HTTP. Each iteration is a
// round on all three. grades/s is the whole program's, which shares the machine
// with its client; cpu-us is CPU of the process a grade.
func BenchmarkLexicalGrades(b *testing.B) {
	const perRound, workers = 500, 16
	folder := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(folder, "rota.yaml"), []byte(eightClaims), 0o600))
	cfg := settings(nil, "")
	cfg.Rubrics = folder
	a, err := app.New(b.Context(), &cfg, app.Options{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	require.NoError(b, err)
	question, err := a.Library().Find("rota/calm")
	require.NoError(b, err)
	addr := listenWith(b, a)

	var number atomic.Int64
	next := func() string { return fmt.Sprintf("%s%010d.", calmAnswer, number.Add(1)) }
	contenders := []struct {
		name string
		do   func(*wire) error
		per  []float64 // grades a second
		cpu  []float64 // microseconds a grade
	}{
		{name: "judge", do: judgeAlone(b, question, next)},
		{name: "grading", do: func(*wire) error {
			_, err := a.Service().Grade(b.Context(), grading.Request{Tenant: "bench", Question: question, Answer: next()})
			return err
		}},
		{name: "http", do: func(w *wire) error { return w.post(addr, `{"question_id":"rota/calm","answer":"`+next()+`"}`) }},
	}
	for i := range contenders {
		crowded(b, workers, perRound/4, contenders[i].do)
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			used, began := processorTime(), time.Now()
			crowded(b, workers, perRound, c.do)
			c.per = append(c.per, perRound/time.Since(began).Seconds())
			c.cpu = append(c.cpu, float64((processorTime()-used).Microseconds())/perRound)
		}
	}
	b.ReportMetric(0, "ns/op") // a round of three means nothing by itself
	for _, c := range contenders {
		b.ReportMetric(middle(c.cpu), c.name+"-cpu-us")
	}
	b.ReportMetric(middle(contenders[2].per), "grades/s")
	ratios := make([]float64, len(contenders[2].cpu))
	for i := range ratios {
		ratios[i] = contenders[2].cpu[i] / contenders[0].cpu[i]
	}
	b.ReportMetric(middle(ratios), "x-judge")
}

func judgeAlone(b *testing.B, question *rubric.Question, next func() string) func(*wire) error {
	offline := lexical.New()
	return func(*wire) error {
		_, err := offline.Judge(b.Context(), judge.Task{Question: question, Answer: next()})
		return err
	}
}

// listenWith serves the program until the benchmark ends.
func listenWith(b *testing.B, a *app.App) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, listener) }()
	b.Cleanup(func() {
		stop()
		require.NoError(b, <-ended)
	})
	return listener.Addr().String()
}

// wire is one worker's connection: the least client there can be.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

func (w *wire) post(addr, body string) error {
	if w.conn == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	if _, err := fmt.Fprintf(w.conn, "POST /v1/grades HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answered %s", strings.TrimSpace(string(line)))
		}
		if len(line) == 2 {
			break
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if _, err := fmt.Sscan(string(n), &length); err != nil {
				return err
			}
		}
	}
	_, err := w.in.Discard(length)
	return err
}

// crowded has n things done by so many workers.
func crowded(b *testing.B, workers, n int, do func(*wire) error) {
	b.Helper()
	var wg sync.WaitGroup
	failed := make(chan error, workers)
	var left atomic.Int64
	left.Store(int64(n))
	for range workers {
		wg.Go(func() {
			w := &wire{}
			defer func() {
				if w.conn != nil {
					_ = w.conn.Close() // nothing more is expected of it
				}
			}()
			for left.Add(-1) >= 0 {
				if err := do(w); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

// processorTime is what the process has used so far, user and system.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
