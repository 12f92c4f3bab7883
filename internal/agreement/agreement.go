// Package agreement measures how well two raters agree: correlations, kappas,
// errors on a scale, calibration of confidence, and how sure one may be of each
// figure.
//
// It knows numbers only: no answers, no grades, no files. A statistic that the
// data leave undefined (a correlation with a rater who always says the same, a
// kappa where chance alone agrees) is an undefined Figure, never 0 and never
// NaN.
//
// Functions that take two ratings of the same things take them as slices of
// equal length and panic when the lengths differ, as that is a fault of the
// program. By convention the first is the reference ("gold"), the second what
// is measured against it ("pred").
package agreement

import (
	"encoding/json"
	"math"
	"strconv"
)

// Figure is the value of a statistic, or its absence. The zero value is
// undefined.
type Figure struct {
	value   float64
	defined bool
}

// Of is a defined figure; undefined when v is not finite.
func Of(v float64) Figure {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Figure{}
	}
	return Figure{v, true}
}

// Value returns the figure; ok is false when it is undefined.
func (f Figure) Value() (v float64, ok bool) { return f.value, f.defined }

// Defined reports whether there is a value.
func (f Figure) Defined() bool { return f.defined }

// Or returns the value, or other where there is none.
func (f Figure) Or(other float64) float64 {
	if f.defined {
		return f.value
	}
	return other
}

// String is the value with three decimals, "-" when undefined.
func (f Figure) String() string {
	if !f.defined {
		return "-"
	}
	if math.Abs(f.value) < 0.0005 {
		return "0.000" // never "-0.000"
	}
	return strconv.FormatFloat(f.value, 'f', 3, 64)
}

// MarshalJSON writes the value, null when undefined.
func (f Figure) MarshalJSON() ([]byte, error) {
	if !f.defined {
		return []byte("null"), nil
	}
	return json.Marshal(f.value)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Figure) UnmarshalJSON(data []byte) error {
	var v *float64
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*f = Figure{}
	if v != nil {
		*f = Of(*v)
	}
	return nil
}

// flat is the variance, or the disagreement expected by chance, at and below
// which a rater counts as always saying the same. Scores are on a scale of 0
// to 1, so anything this small is rounding.
const flat = 1e-12

func same(x, y []float64) int {
	if len(x) != len(y) {
		panic("agreement: ratings of different lengths")
	}
	return len(x)
}

// Mean is the arithmetic mean; undefined without values.
func Mean(v []float64) Figure {
	if len(v) == 0 {
		return Figure{}
	}
	return Of(mean(v))
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// MeanOf is the mean of those figures that are defined; undefined without any.
func MeanOf(figures ...Figure) Figure {
	sum, n := 0.0, 0
	for _, f := range figures {
		if f.defined {
			sum += f.value
			n++
		}
	}
	if n == 0 {
		return Figure{}
	}
	return Of(sum / float64(n))
}
