module example.com/asserter

go 1.19
