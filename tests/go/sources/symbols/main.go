// Command symbols is a plugin with a symbol of every kind, among them the mistakes that authors
// make.
package main

// Doctor has its methods on the value.
type Doctor struct{ asked int }

func (Doctor) HealthCheck() error            { return nil }
func (Doctor) Poke(times int) (string, error) { return "", nil }
func (Doctor) hidden()                        {}

// Nurse has hers on the pointer.
type Nurse struct{ Doctor }

func (*Nurse) Write(p []byte) (n int, err error) { return len(p), nil }
func (*Nurse) Set(value any)                     {}

// Intern has methods of the right names and other types.
type Intern int

func (Intern) HealthCheck() string           { return "" }
func (Intern) Poke(times int64) (string, error) { return "", nil }
func (*Intern) Write(p []byte) int           { return 0 }
func (Intern) Set(value interface{ Close() }) {}
func (Intern) Join(parts []string) rune      { return 0 }

// Clerk joins.
type Clerk map[string]string

func (Clerk) Join(parts ...string) rune { return 0 }
func (Clerk) Close()                    {}

// Box is generic.
type Box[T any] struct{ value T }

func (Box[T]) Close()       {}
func (*Box[T]) Set(value T) {}

// Checker is an interface.
type Checker interface{ HealthCheck() error }

// What a host can look up.
var (
	Value          Doctor
	Pointer        = &Doctor{}
	Interface      Checker = Doctor{}
	Anything       any     = Doctor{}
	OnPointer      Nurse
	Wrong          Intern
	Map            Clerk
	Filled         Box[any]
	OtherwiseBox   Box[int]
	Anonymous      struct{ Doctor }
	Embedded       struct{ *Nurse }
	Plain          int
	Slice          []Doctor
	Callback       func() error
)

// HealthCheck is a function of the name that is asked for.
func HealthCheck() error { return nil }

// New is what the host would have to call.
func New() Checker { return Doctor{} }

func main() {
	Value.hidden()
}
