create index c_d on c (d);
