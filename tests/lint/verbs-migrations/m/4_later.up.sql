update a set b = 4;
